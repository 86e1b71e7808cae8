"""Which functions and pieces of SQL text read no table."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_harmless_fragment", "is_harmless_statement", "is_pure", "without_literals"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMON: Final = _words(
    """
    abs acos aggregate_strings ascii asin atan atan2 avg cast ceil ceiling char_length character_length coalesce
    concat cos count cume_dist current_date current_time current_timestamp current_user degrees dense_rank exp extract
    first_value floor greatest grouping_sets lag last_value lead least length ln localtime localtimestamp log lower
    ltrim max min mod now nth_value ntile nullif octet_length percent_rank pi position power radians rank replace
    round row_number rtrim session_user sign sin sqrt substr substring sum tan trim upper user
    """
)
_BY_DIALECT: Final = {
    "postgresql": _words(
        """
        age all any any_value array array_agg array_append array_cat array_dims array_length array_lower
        array_position array_positions array_prepend array_remove array_replace array_to_json array_to_string
        array_upper bernoulli bit_and bit_length bit_or bool_and bool_or btrim cardinality chr clock_timestamp
        concat_ws cot crypt cube current_schema current_setting date_bin date_part date_trunc decode digest div encode
        every format gen_random_uuid gen_salt generate_series initcap isfinite json_agg json_array_elements
        json_array_elements_text json_array_length json_build_array json_build_object json_each json_each_text
        json_extract_path json_extract_path_text json_object json_object_agg json_object_keys json_strip_nulls
        json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
        jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object_agg
        jsonb_object_keys jsonb_path_exists jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_set
        jsonb_strip_nulls jsonb_typeof justify_days justify_hours left log10 lpad make_date make_interval make_time
        make_timestamp md5 mode num_nonnulls num_nulls overlay percentile_cont percentile_disc pg_advisory_lock
        pg_advisory_unlock pg_advisory_xact_lock pg_sleep pg_try_advisory_lock pg_try_advisory_xact_lock
        phraseto_tsquery plainto_tsquery quote_ident quote_literal random regexp_count regexp_like regexp_match
        regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr repeat reverse right
        rollup row row_to_json rpad set_config setweight sha256 sha512 similarity split_part st_area st_asbinary
        st_asewkb st_asgeojson st_astext st_buffer st_contains st_distance st_dwithin st_geomfromewkb st_geomfromewkt
        st_geomfromgeojson st_geomfromtext st_intersects st_length st_makepoint st_setsrid st_transform st_within st_x
        st_y starts_with statement_timestamp stddev stddev_pop stddev_samp string_agg string_to_array string_to_table
        strip strpos system timezone to_char to_date to_json to_jsonb to_number to_timestamp to_tsquery to_tsvector
        transaction_timestamp translate trim_array trunc ts_headline ts_rank ts_rank_cd unaccent unnest
        uuid_generate_v4 uuidv7 var_pop var_samp variance version websearch_to_tsquery width_bucket word_similarity
        """
    ),
    "sqlite": _words(
        """
        bm25 changes char date datetime format glob group_concat hex highlight ifnull iif instr json json_array
        json_array_length json_each json_extract json_group_array json_group_object json_object json_patch json_quote
        json_remove json_replace json_set json_tree json_type json_valid julianday last_insert_rowid like likelihood
        likely log10 log2 median printf quote random randomblob regexp snippet soundex sqlite_version strftime
        string_agg time timediff total total_changes trunc typeof unhex unicode unixepoch unlikely zeroblob
        """
    ),
    "mysql": _words(
        """
        adddate addtime any_value bit_and bit_length bit_or concat_ws connection_id convert crc32 curdate curtime date
        date_add date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear div elt field find_in_set
        format from_days from_unixtime group_concat hex hour if ifnull instr isnull json_array json_arrayagg
        json_contains json_extract json_keys json_length json_object json_objectagg json_unquote json_value last_day
        lcase left locate log10 log2 lpad md5 microsecond mid minute month monthname pow quarter rand regexp_like
        regexp_replace regexp_substr repeat reverse right rpad second sha1 sha2 space stddev str_to_date strcmp
        subdate substring_index sysdate time timediff timestamp timestampadd timestampdiff to_days truncate ucase
        unix_timestamp utc_date utc_time utc_timestamp uuid variance version week weekday weekofyear year yearweek
        """
    ),
}
_NONE: Final[frozenset[str]] = frozenset()
_KEYWORDS: Final = _words("and as between by case else filter group in is like not on or over then when within")
"""What may precede a parenthesis without being called."""

_READING: Final = re.compile(
    r"\b(select|table|from|join|union|intersect|except|with|values|using|into|call|exec|execute|returning|do|copy)\b",
    re.IGNORECASE,
)
_CALL: Final = re.compile(r"([\w.$\"`\[\]]+)\s*\(")
_LEADING: Final = re.compile(r"\s*(\w+)")
_STATEMENTS: Final = frozenset(
    ("set", "reset", "begin", "start", "commit", "rollback", "savepoint", "release", "pragma")
)
_WRITES: Final = frozenset(("insert", "update", "delete"))
_LITERAL: Final = re.compile(r"'(?:[^']|'')*'")


def is_pure(function: str, dialect: str) -> bool:
    """Return whether a function of this name is known to read no table in databases of a dialect."""
    name = function.lower()
    return name in _COMMON or name in _BY_DIALECT.get("mysql" if dialect == "mariadb" else dialect, _NONE)


def is_harmless_fragment(text: str, dialect: str) -> bool:
    """Return whether a piece of SQL text in a statement is known to read no table of its own."""
    if _READING.search(text) or any(each in text for each in (";", "--", "/*", "#")):
        return False
    calls = (each.lower() for each in _CALL.findall(text))
    return all(each in _KEYWORDS or is_pure(each, dialect) for each in calls)


def is_harmless_statement(text: str, dialect: str) -> bool:
    """Return whether a statement that is text is known to show its caller no table's rows."""
    found = _LEADING.match(text)
    word = found[1].lower() if found else ""
    if word in _STATEMENTS:
        return ";" not in text.rstrip().rstrip(";")
    rest = text[found.end() :] if found else text
    if word == "select":
        return is_harmless_fragment(rest, dialect)
    return word in _WRITES and not re.search(r"\b(select|returning|call)\b|;", rest, re.IGNORECASE)


def without_literals(text: str) -> str:
    """Return SQL text without the strings in it."""
    return _LITERAL.sub("'…'", text)
