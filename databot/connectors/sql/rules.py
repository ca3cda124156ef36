"""What the guard refuses: the lists, apart from the machinery that uses them.

A function is refused in every dialect, not only in its own: no analytical query needs one of them, and a dialect that was
guessed wrong must not open a door.
"""

import re

FUNCTIONS = re.compile(
    r"""
    # PostgreSQL: files, large objects, other servers, settings, locks, signals, nested SQL, side effects
    pg_read_\w+ | pg_ls_\w+ | pg_stat_file | pg_file_\w+ | lo_\w+ | loread | lowrite | dblink\w* | postgres_fdw\w*
    | set_config | \w+_to_xml\w* | pg_sleep\w* | pg_(?:terminate|cancel)_backend | pg_\w*advisory\w* | pg_notify
    | pg_logical_\w+ | pg_replication_\w+ | pg_create_\w+ | pg_drop_\w+ | pg_copy_\w+ | pg_switch_\w+ | pg_reload_conf
    | pg_rotate_logfile\w* | pg_promote | pg_import_\w+ | pg_export_snapshot | pg_stat_reset\w* | pg_log_\w+
    | pg_backup_\w+ | pg_(?:start|stop)_backup | pg_current_logfile | pg_extension_config_dump | nextval | setval
    | txid_current | pg_current_xact_id | pg_hba_file_rules | pg_show_all_file_settings | brin_\w+ | gin_clean_\w+
    | pg_wal_\w+ | pg_walfile_\w+ | pg_get_wal_\w+ | query_to_\w+ | cursor_to_\w+ | ts_stat | ts_rewrite | crosstab\w*
    | connectby | xpath_table | binary_upgrade_\w+
    # MySQL, MariaDB
    | load_file | sleep | benchmark | get_lock | release_lock | release_all_locks | is_free_lock | is_used_lock
    | sys_exec | sys_eval | sys_get | sys_set | master_pos_wait | master_gtid_wait | source_pos_wait | wait_for_executed_gtid_set
    | wait_until_sql_thread_after_gtids | last_insert_id | lastval | do_domain_ids
    # SQLite
    | load_extension | writefile | readfile | edit | fts3_tokenizer | lsdir | fsdir | zipfile | sqlite_dbpage | dbstat
    | zeroblob | randomblob
    # DuckDB
    | read_\w+ | parquet_\w+ | glob | sniff_csv | \w+_scan | \w+_scan_\w+ | scan_\w+ | query | query_table | getenv
    | duckdb_secrets | which_secret | duckdb_settings | write_log | enable_logging | disable_logging | duckdb_logs\w*
    | duckdb_log_contexts | duckdb_databases | duckdb_temporary_files | postgres_\w+
    | mysql_(?:query|execute|scan) | sqlite_(?:query|attach|scan) | iceberg_\w+ | delta_\w+ | st_read\w* | load_aws_\w+
    | shellfs\w* | http_(?:get|post\w*|put|delete|head|patch) | force_checkpoint | checkpoint | import_database | sql_auto_complete
    | pragma_(?!(?:table_x?info|table_list|index_list|index_x?info|foreign_key_list)\Z)\w+
    | json_execute_serialized_sql | from_substrait\w* | current_setting_secret
    # ClickHouse
    | url | urlcluster | file | filecluster | s3\w* | hdfs\w* | remote | remotesecure | cluster\w* | mysql | postgresql
    | mongodb | redis | jdbc | odbc | executable\w* | input | azure\w* | gcs | oss | cosn | deltalake\w* | hudi\w* | merge
    | dictionary | sqlite | numbers_mt_file | sleepeachrow | filesystem\w* | catboostevaluate | generaterandom
    # Trino, Spark, BigQuery, Snowflake, SQL Server, Oracle
    | reflect | java_method | try_reflect | external_query | system\$\w+ | xp_\w+ | sp_\w+ | openrowset | openquery
    | opendatasource | openxml | httpuritype | sys_context | bfilename | execute_immediate
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Names that may not be followed by an opening parenthesis."""

PACKAGES = re.compile(r"utl_\w+|dbms_\w+", re.IGNORECASE)
"""Oracle's packages of procedures: refused in front of a dot."""

CLASHING = {
    "sqlite": frozenset({"glob"}),  # glob(pattern, text) compares; it opens nothing
    "postgres": frozenset({"merge", "dictionary", "input"}),
}
"""Harmless functions of one dialect that share a refused name."""

CATALOGS = re.compile(
    r"""
    (?:pg_catalog\.)?(?:pg_shadow | pg_authid | pg_user_mappings? | pg_subscription | pg_hba_file_rules
      | pg_ident_file_mappings | pg_file_settings | pg_largeobject(?:_metadata)? | pg_stat_ssl | pg_statistic)
    | mysql\.\w+ | performance_schema\.\w+ | (?:information_schema\.)?user_mapping_options
    | (?:sys\.)?(?:sql_logins | syslogins | linked_logins | user\$ | link\$) | dba_users
    | pragma_(?!(?:table_x?info|table_list|index_list|index_x?info|foreign_key_list)\Z)\w+
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Tables that hold credentials, files or settings, by their name or schema and name."""

WORDS = {
    "INTO": "INTO writes the result somewhere",
    "OUTFILE": "OUTFILE writes a file",
    "DUMPFILE": "DUMPFILE writes a file",
}
"""Unquoted words with no place in a statement that only reads, wherever a parser would put them."""

FILE_TABLE = re.compile(
    r".*[/\\*?:].* | .*\.(?:csv|tsv|txt|json|jsonl|ndjson|parquet|arrow|feather|xlsx?|db|duckdb|sqlite|gz|zst)",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
"""A DuckDB or Spark table name that would be read as a file."""

FIRST_WORDS = {
    "INSERT": "it adds rows",
    "UPDATE": "it changes rows",
    "DELETE": "it deletes rows",
    "MERGE": "it changes rows",
    "REPLACE": "it changes rows",
    "TRUNCATE": "it deletes rows",
    "CREATE": "it changes the schema",
    "ALTER": "it changes the schema",
    "DROP": "it changes the schema",
    "RENAME": "it changes the schema",
    "GRANT": "it changes rights",
    "REVOKE": "it changes rights",
    "COPY": "it moves data to or from files",
    "ATTACH": "it opens another database",
    "SET": "it changes the session",
    "CALL": "it runs a procedure",
    "BEGIN": "transactions are begun and ended by databot",
    "COMMIT": "transactions are begun and ended by databot",
    "ROLLBACK": "transactions are begun and ended by databot",
}
"""Why a statement that begins so is refused; any other unknown beginning is refused with the list of what may run."""

PG_SETTINGS = (
    "server_version|server_version_num|server_encoding|client_encoding|timezone|time zone|datestyle|intervalstyle|search_path"
    "|lc_collate|lc_ctype|transaction_read_only|default_transaction_read_only|transaction_isolation|transaction isolation level"
    "|statement_timeout|lock_timeout|work_mem|max_connections"
)
_NAME = r"""(?:[A-Za-z_][\w$]*|"[^"']+"|`[^`']+`)"""
_PATH = rf"{_NAME}(?:\s*\.\s*{_NAME}){{0,2}}"
_LIKE = r"(?:\s+LIKE\s+'[^'\\]*')?"
_IN = rf"(?:\s+(?:FROM|IN)\s+{_PATH}){{0,2}}"

SHOW = {
    "postgres": rf"SHOW\s+(?:{PG_SETTINGS})",
    "mysql": rf"SHOW\s+(?:(?:FULL\s+)?(?:TABLES|COLUMNS|FIELDS)|TABLE\s+STATUS|DATABASES|SCHEMAS|INDEX|INDEXES|KEYS){_IN}{_LIKE}"
    rf"|SHOW\s+CREATE\s+(?:TABLE|VIEW)\s+{_PATH}|SHOW\s+(?:COUNT\(\*\)\s+)?WARNINGS"
    rf"|(?:DESCRIBE|DESC)\s+{_PATH}",
    "duckdb": rf"SHOW\s+(?:(?:ALL\s+)?TABLES|SCHEMAS|VIEWS|{_PATH}){_IN}|(?:DESCRIBE|DESC|SUMMARIZE)\s+(?:TABLE\s+)?{_PATH}"
    r"|PRAGMA\s+show_tables|PRAGMA\s+(?:table_info|storage_info)\s*\(\s*'?[\w.]+'?\s*\)",
    "sqlite": rf"PRAGMA\s+(?:{_NAME}\s*\.\s*)?(?:table_info|table_xinfo|index_list|index_info|index_xinfo|foreign_key_list)"
    rf"\s*(?:\(\s*(?:{_NAME}|'[^']+')\s*\)|=\s*(?:{_NAME}|'[^']+'))|PRAGMA\s+table_list",
}
OTHER_SHOW = (
    rf"SHOW\s+(?:TABLES|SCHEMAS|DATABASES|CATALOGS|COLUMNS|VIEWS|FUNCTIONS){_IN}{_LIKE}"
    rf"|SHOW\s+CREATE\s+(?:TABLE|VIEW)\s+{_PATH}|(?:DESCRIBE|DESC)\s+(?:TABLE\s+)?{_PATH}"
)
"""Statements about the schema, as whole-text patterns: parsers treat them as opaque, so they have their own grammar."""

EXPLAIN = (
    r"EXPLAIN(?:\s+QUERY\s+PLAN|\s+PLAN\s+FOR"
    r"|\s*\(\s*(?:(?:FORMAT|VERBOSE|COSTS|SETTINGS|SUMMARY|TYPE)\b"
    r"(?:\s+(?:TEXT|JSON|XML|YAML|ON|OFF|TRUE|FALSE|LOGICAL|DISTRIBUTED|IO|VALIDATE))?\s*,?\s*)+\)"
    r"|\s+FORMAT\s*=\s*\w+|\s+EXTENDED|\s+VERBOSE)?\s+"
)
