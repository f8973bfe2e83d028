-- A change of champion is recorded in two systems, and may be killed between them.

create table intended_change (
    model_version integer not null,
    change varchar not null check (change in ('promotion', 'rollback')),
    changed_by varchar not null,
    reason varchar not null
);
comment on table intended_change is 'The change of champion that is under way, noted before the alias moves and removed when it is in alias_history. What was interrupted is finished from it.';
comment on column intended_change.model_version is 'The version that becomes champion.';
comment on column intended_change.change is 'promotion or rollback.';
comment on column intended_change.changed_by is 'gate, or the name of a person.';
comment on column intended_change.reason is 'Why, in a sentence.';
