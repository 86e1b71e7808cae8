"""The schema ``reactive`` of a PostgreSQL database, as one SQL statement.

- ``log`` holds the events, and the members that joined or left, each row with the number of its transaction.
- ``ended`` holds the users whose streams were ended in the last minutes.
- ``members`` and ``processes`` hold the members of each process, and when the lease of each process ends.
- ``life`` has one row for one life of the log. Its tables are unlogged, so a crash of the server empties them, and a
  standby does not have them. The next process that connects begins a new life, in which older cursors are invalid.

Transactions that use unlogged tables write no write-ahead log for them, and do not wait for the disk if they write
nothing else. Only ``ended`` is logged, because rendering everything does not make up for its loss.

Rows are deleted once they are too old or too many, after they could be read for half a minute. The same transaction
raises the *floor* to them: below it, no changes are known.

A wake-up may contain events. ``rx_wake`` adds the number of its transaction, and signs both with a key that only roles
that run a bus can read: a notification is sent when its transaction commits, so what is signed has been committed.

Every role that may use the schema may call ``rx_emit`` and ``rx_wake``. All other functions are for roles that run a
bus: they end streams and show members. Each function that runs with its owner's rights has a fixed search path.
"""

from __future__ import annotations

__all__ = ["CHANNEL", "DDL", "SCHEMA", "VERSION"]

SCHEMA = "reactive"
CHANNEL = "reactive"
"""The channel of the wake-ups."""
VERSION = 3
"""The layout of the schema that this release needs. In layout 1 everybody may call every function, and in layout 2
wake-ups are not signed."""

_TABLES = """
    create schema if not exists reactive;

    create unlogged table reactive.life (
        bound text collate "C" primary key,
        token uuid not null default gen_random_uuid(),
        floor xid8 not null,
        seen pg_snapshot not null,
        seen_at timestamptz not null,
        late xid8[] not null default '{}'
    );

    create unlogged table reactive.log (
        id bigint generated always as identity primary key,
        xid xid8 not null default pg_current_xact_id(),
        at timestamptz not null default clock_timestamp(),
        scope text collate "C" not null,
        paths text[] collate "C",
        audience text[] collate "C",
        origin text collate "C",
        member jsonb
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
    create index log_by_xid on reactive.log (xid);
    create index log_by_scope on reactive.log (hashtextextended(scope, 0), xid) where paths is not null;

    create table reactive.ended (
        id bigint generated always as identity primary key,
        xid xid8 not null default pg_current_xact_id(),
        at timestamptz not null default clock_timestamp(),
        process text collate "C" not null,
        user_id text collate "C" not null,
        scope text collate "C"
    );

    create unlogged table reactive.processes (
        process text collate "C" primary key,
        expires timestamptz not null
    );

    create unlogged table reactive.members (
        process text collate "C" not null,
        key text collate "C" not null,
        scope text collate "C" not null,
        session text collate "C" not null,
        user_id text collate "C",
        since double precision not null
    );
    create index members_by_process on reactive.members (process, key);
    create index members_by_scope on reactive.members (hashtextextended(scope, 0));
"""

_EMIT = r"""
    create or replace function reactive.rx_emit(
        scope text, paths text[], origin text default null, audience text[] default null
    ) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
    begin
        if coalesce(scope, '') = '' then
            raise exception using errcode = '22023', message = 'rx_emit: the scope is empty',
                hint = 'Name what the change belongs to, such as ''board:42''.';
        end if;
        if coalesce(array_ndims(paths), 0) <> 1 or exists (
            select from unnest(paths) as path
            where path is null or path !~ '^([*]|[^\s\u0001-\u001f.*]+([.][^\s\u0001-\u001f.*]+)*)$'
        ) then
            raise exception using errcode = '22023', message = 'rx_emit: the paths are invalid',
                detail = coalesce(paths::text, 'null'),
                hint = 'Write context paths, such as ''{tasks,doc.title}'', or ''{*}'' for all.';
        end if;
        if array_ndims(audience) > 1 then
            raise exception using errcode = '22023', message = 'rx_emit: the audience is invalid',
                detail = audience::text, hint = 'Write user ids, such as ''{ann,bob}''.';
        end if;
        insert into reactive.log (scope, paths, origin, audience)
        values (rx_emit.scope, rx_emit.paths, nullif(rx_emit.origin, ''), rx_emit.audience);
    end $body$;
"""

_WAKE = """
    alter table reactive.life add column if not exists
        key bytea not null default sha256(convert_to(concat(gen_random_uuid(), gen_random_uuid()), 'UTF8'));

    drop function if exists reactive.rx_wake();
    create or replace function reactive.rx_wake(events text default null) returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
    declare
        message text := pg_current_xact_id_if_assigned()::text || ' ' || events;
        secret bytea := (select key from reactive.life);
    begin
        perform pg_notify('reactive', coalesce(
            encode(sha256(secret || sha256(secret || convert_to(message, 'UTF8'))), 'hex') || ' ' || message, ''));
    end $body$;
"""

_SEND = """
    create or replace function reactive.rx_send(process text, batch jsonb) returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
    begin
        if jsonb_array_length(batch->'members') > 0 then
            delete from reactive.members as old
            using jsonb_to_recordset(batch->'members') as given(scope text, key text)
            where old.process = rx_send.process and old.key = given.key and old.scope = given.scope;
            insert into reactive.members
            select rx_send.process, given.key, given.scope, given.session, given."user", given.since
            from jsonb_to_recordset(batch->'members')
                as given(scope text, key text, session text, "user" text, since float8)
            where given.session is not null;
            insert into reactive.log (scope, origin, member)
            select given.member->>'scope', rx_send.process, given.member
            from jsonb_array_elements(batch->'members') as given(member);
        end if;
        if jsonb_array_length(batch->'ended') > 0 then
            insert into reactive.ended (process, user_id, scope)
            select rx_send.process, given."user", given.scope
            from jsonb_to_recordset(batch->'ended') as given("user" text, scope text);
        end if;
        perform reactive.rx_emit(given.scope, given.paths, given.origin, given.audience)
        from jsonb_to_recordset(batch->'events') as given(scope text, paths text[], origin text, audience text[]);
    end $body$;

    create or replace function reactive.rx_enroll(process text, members jsonb) returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
    begin
        with given as (
            select rx_enroll.process, given.key, given.scope, given.session, given."user", given.since
            from jsonb_to_recordset(members) as given(scope text, key text, session text, "user" text, since float8)
        ), gone as (
            select * from reactive.members as old where old.process = rx_enroll.process except select * from given
        ), new as (
            select * from given except select * from reactive.members as old where old.process = rx_enroll.process
        ), logged as (
            insert into reactive.log (scope, origin, member)
            select gone.scope, rx_enroll.process, jsonb_build_object('key', gone.key) from gone
            where not exists (select from given where given.key = gone.key and given.scope = gone.scope)
            union all
            select new.scope, rx_enroll.process, jsonb_build_object(
                'key', new.key, 'session', new.session, 'user', new."user", 'since', new.since
            ) from new
        ), deleted as (
            delete from reactive.members as old using gone where old.process = gone.process and old.key = gone.key
                and old.scope = gone.scope
        )
        insert into reactive.members select * from new;
        if members = '[]' then
            delete from reactive.processes as known where known.process = rx_enroll.process;
        else
            perform reactive.rx_beat(rx_enroll.process, interval '15 s');
        end if;
    end $body$;

    create or replace function reactive.rx_beat(process text, lease interval) returns void
    language sql security definer set search_path = pg_catalog, pg_temp as $body$
        insert into reactive.processes values (rx_beat.process, clock_timestamp() + lease)
        on conflict (process) do update set expires = excluded.expires
    $body$;
"""

_BEGIN = """
    create or replace function reactive.rx_begin() returns text
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
    declare
        here text := concat_ws('-', (select system_identifier from pg_control_system()),
            substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
            extract(epoch from pg_postmaster_start_time()), 'reactive.log'::regclass::oid);
        found uuid := (select token from reactive.life where bound = here);
    begin
        if found is null then
            perform pg_advisory_xact_lock(7307497, 2);
            found := (select token from reactive.life where bound = here);
        end if;
        if found is null then
            delete from reactive.life;
            delete from reactive.log;
            delete from reactive.members;
            delete from reactive.processes;
            insert into reactive.life (bound, floor, seen, seen_at)
            values (here, pg_current_xact_id(), pg_current_snapshot(), clock_timestamp())
            returning token into found;
        end if;
        return here || '-' || found;
    end $body$;
"""

_TRIM = """
    create or replace function reactive.rx_trim(keep interval, most integer, batch integer) returns integer
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
    declare
        known reactive.life;
        beyond xid8;
        cut xid8;
        trimmed integer;
    begin
        if not pg_try_advisory_xact_lock(7307497, 3) then
            return 0;
        end if;
        select * into known from reactive.life;
        if not found or clock_timestamp() < known.seen_at + interval '30 s' then
            return 0;
        end if;
        beyond := (select xid from reactive.log where xid > known.floor order by xid desc offset most limit 1);
        cut := (
            select xid from (
                select xid, at from reactive.log where xid > known.floor order by xid limit batch
            ) as oldest
            where pg_visible_in_snapshot(xid, known.seen)
                and (at < clock_timestamp() - keep or xid <= beyond)
            order by xid desc limit 1
        );
        delete from reactive.log
        where xid > known.floor and xid <= cut and pg_visible_in_snapshot(xid, known.seen);
        get diagnostics trimmed = row_count;
        if cut is not null then
            update reactive.life set floor = cut;
            return trimmed;
        end if;
        -- rows that were committed after the floor had passed them
        delete from reactive.log
        where xid = any(known.late) and xid <= known.floor and pg_visible_in_snapshot(xid, known.seen);
        update reactive.life
        set late = array(select pg_snapshot_xip(known.seen)), seen = pg_current_snapshot(), seen_at = clock_timestamp();
        delete from reactive.ended where at < clock_timestamp() - interval '10 min';
        delete from reactive.processes where expires < clock_timestamp() - interval '1 min';
        delete from reactive.members as old
        where not exists (select from reactive.processes as other where other.process = old.process);
        return 0;
    end $body$;
"""

_VERSION = f"""
    create or replace function reactive.rx_version() returns integer language sql immutable as 'select {VERSION}';
"""

_RIGHTS = """
    revoke execute on all functions in schema reactive from public;
    grant execute on function
        reactive.rx_emit(text, text[], text, text[]), reactive.rx_wake(text), reactive.rx_version()
        to public;
"""

_RIGHTS_SINCE_LAYOUT_1 = """
    -- a role that may read the log runs a bus, so it keeps what everybody was allowed
    for app in
        select distinct grantee::regrole from pg_class, aclexplode(relacl)
        where oid = 'reactive.log'::regclass and privilege_type = 'SELECT' and grantee <> 0
    loop
        execute 'grant execute on all functions in schema reactive to ' || app;
    end loop;
"""

DDL = f"""do $reactive$
declare
    before integer := 0;
    app regrole;
begin
    perform pg_advisory_xact_lock(7307497, 1);
    perform from pg_proc limit 1;  -- the first use of a table makes commits of others visible
    if to_regprocedure('reactive.rx_version()') is not null then
        before := reactive.rx_version();
    end if;
    if before >= {VERSION} then
        return;
    end if;
    if before = 0 then
{_TABLES}
    end if;
{_EMIT}{_WAKE}{_SEND}{_BEGIN}{_TRIM}{_VERSION}{_RIGHTS}
    if before = 1 then
{_RIGHTS_SINCE_LAYOUT_1}
    end if;
end $reactive$"""
"""The SQL statement that creates the schema ``reactive``, which a bus needs in its PostgreSQL database.

Run it in a migration if the application's role may not create schemas; otherwise the bus runs it. It brings a schema of
an older release up to date, and does nothing if the schema is up to date. It is one statement without parameters,
which every driver and every migration tool accepts, and several processes may run it at the same time.
"""
