"""Grants for SQL Server (change data capture) and Oracle (LogMiner), after Debezium's documentation.  Golden-only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.connect.folder import Source
from streams.connect.init.connector import HEARTBEAT, SIGNAL, own_tables
from streams.connect.statements import Statement, quoted

_ORACLE_VIEWS = (
    "V_$DATABASE", "V_$LOG", "V_$LOG_HISTORY", "V_$LOGMNR_LOGS", "V_$LOGMNR_CONTENTS", "V_$LOGMNR_PARAMETERS",
    "V_$LOGFILE", "V_$ARCHIVED_LOG", "V_$ARCHIVE_DEST_STATUS", "V_$TRANSACTION", "V_$MYSTAT", "V_$STATNAME",
)  # fmt: skip


def sqlserver(source: Source, mapped: Sequence[str], writes: bool) -> Iterator[Statement]:
    """Debezium, SQL Server connector, "Setting up SQL Server"."""
    user, schema = source.config.get("database.user", ""), source.schema
    database = source.config.get("database.names", "")
    role = "onhand_cdc"
    name, place = quoted("sqlserver", user), quoted("sqlserver", schema)
    yield Statement(
        f"USE {quoted('sqlserver', database)};\nEXEC sys.sp_cdc_enable_db;\n"
        f"ALTER DATABASE {quoted('sqlserver', database)} SET ALLOW_SNAPSHOT_ISOLATION ON;",
        "As sysadmin; SQL Server Agent must run. Snapshots read without locks.",
    )
    yield Statement(
        f"CREATE LOGIN {name} WITH PASSWORD = '…';\nCREATE USER {name} FOR LOGIN {name};\nCREATE ROLE {role};\n"
        f"ALTER ROLE {role} ADD MEMBER {name};\nGRANT VIEW DATABASE STATE TO {name};",
        "The connector's user; the role lets it read the change tables.",
    )
    if writes:
        yield Statement(
            f"CREATE TABLE {place}.{HEARTBEAT} (id int PRIMARY KEY, ts datetime2 NOT NULL);\n"
            f"INSERT INTO {place}.{HEARTBEAT} VALUES (1, SYSUTCDATETIME());\n"
            f"CREATE TABLE {place}.{SIGNAL} (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, "
            "data varchar(2048));\n"
            f"GRANT SELECT, UPDATE ON {place}.{HEARTBEAT} TO {name};\n"
            f"GRANT SELECT, INSERT, DELETE ON {place}.{SIGNAL} TO {name};",
            "onhand's own two tables, and write on them alone.",
        )
    own = [f"{schema}.{HEARTBEAT}", f"{schema}.{SIGNAL}"] if writes else []
    tables = [table.split(".", 1)[1] for table in (*mapped, *own)]
    yield Statement(
        "\n".join(f"GRANT SELECT ON {place}.{quoted('sqlserver', table)} TO {name};" for table in tables),
        "Read exactly what the mapping reads.",
    )
    yield Statement(
        "\n".join(
            f"EXEC sys.sp_cdc_enable_table @source_schema = N'{schema}', @source_name = N'{_text(table)}', "
            f"@role_name = N'{role}', @supports_net_changes = 0;"
            for table in tables
        ),
        'One change table each. A column added later needs a new capture instance (Debezium, "Schema evolution").',
    )


def oracle(source: Source, mapped: Sequence[str], writes: bool) -> Iterator[Statement]:
    """Debezium, Oracle connector, "Preparing the database" and "Creating users"."""
    user = quoted("oracle", source.config.get("database.user", "").upper())
    schema = quoted("oracle", source.schema)
    heartbeat, signal = own_tables("oracle")
    tables = [f"{schema}.{quoted('oracle', table.split('.', 1)[1])}" for table in mapped]
    yield Statement(
        "SHUTDOWN IMMEDIATE\nSTARTUP MOUNT\nALTER DATABASE ARCHIVELOG;\nALTER DATABASE OPEN;\n"
        "ALTER DATABASE ADD SUPPLEMENTAL LOG DATA;",
        "As SYSDBA, where `SELECT log_mode FROM v$database` does not say ARCHIVELOG. Archive logs must be kept for "
        "longer\nthan the connector may be down.",
    )
    yield Statement(
        "\n".join(f"ALTER TABLE {table} ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS;" for table in tables),
        "Every captured table: without it columns would be absent.",
    )
    yield Statement(
        f'CREATE USER {user} IDENTIFIED BY "…" DEFAULT TABLESPACE users QUOTA UNLIMITED ON users;\n'
        f"GRANT CREATE SESSION, LOGMINING, SELECT ANY TRANSACTION, CREATE TABLE TO {user};\n"
        f"GRANT SELECT_CATALOG_ROLE, EXECUTE_CATALOG_ROLE TO {user};\n"
        f"GRANT EXECUTE ON DBMS_LOGMNR TO {user};\nGRANT EXECUTE ON DBMS_LOGMNR_D TO {user};\n"
        + "\n".join(f"GRANT SELECT ON {view} TO {user};" for view in _ORACLE_VIEWS),
        "The connector's user, with LogMiner. In a container database: in the root, named C##…, with SET CONTAINER\n"
        "and CONTAINER = ALL on every grant. CREATE TABLE is for LogMiner's flush table.",
    )
    yield Statement(
        "\n".join(f"GRANT SELECT, FLASHBACK ON {table} TO {user};" for table in tables),
        "Read exactly what the mapping reads (Debezium's documentation grants ANY TABLE; LOCK ANY TABLE is needed\n"
        "only with snapshot.locking.mode = shared).",
    )
    if writes:
        yield Statement(
            f"CREATE TABLE {schema}.{heartbeat} (id NUMBER(9) PRIMARY KEY, ts TIMESTAMP(6) NOT NULL);\n"
            f"INSERT INTO {schema}.{heartbeat} VALUES (1, SYSTIMESTAMP);\n"
            f"CREATE TABLE {schema}.{signal} (id VARCHAR2(42) PRIMARY KEY, type VARCHAR2(32) NOT NULL, "
            "data VARCHAR2(2048));\n"
            f"ALTER TABLE {schema}.{heartbeat} ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS;\n"
            f"ALTER TABLE {schema}.{signal} ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS;\n"
            f"GRANT SELECT, FLASHBACK, UPDATE ON {schema}.{heartbeat} TO {user};\n"
            f"GRANT SELECT, FLASHBACK, INSERT, DELETE ON {schema}.{signal} TO {user};",
            "onhand's own two tables, and write on them alone.",
        )


def _text(name: str) -> str:
    return name.replace("'", "''")
