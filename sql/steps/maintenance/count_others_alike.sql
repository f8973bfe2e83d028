-- What stays, being other people's: tweets with a forgotten text, and tweets that mention a forgotten user.
select
    (
        select count(*) from tweets where text in (select text from incoming where text is not null)
    ) as count_same_text,
    (
        select count(*)
        from tweets
        where exists (
            select 1
            from incoming
            where incoming.user_name is not null
                and regexp_matches(lower(tweets.text), '@' || regexp_escape(incoming.user_name) || '(\W|$)')
        )
    ) as count_mentions;
