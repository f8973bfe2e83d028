-- What was there is one row each, for the account of its file; an id or a user that was asked for is kept out once.
insert into forgotten by name
select kind, digest, file_id, $now as forgotten_at
from incoming
where file_id is not null
    or (kind, digest) not in (select (kind, digest) from forgotten where digest is not null);
