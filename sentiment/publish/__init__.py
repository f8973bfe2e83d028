"""Other databases, by SQLAlchemy address: published tables go out, tweets come in.

    target     the whole publication in one transaction: readers see the old state or the new one
    tables     the published tables as the other database has them: types, keys, comments
    changes    what is new, changed or gone since the last publication to a target
    rows       rows into a table, by COPY where the database has it
    lake       scored tweets into a Delta Lake table
    dataset    scored tweets as Parquet files by day
    report     what was sent

PostgreSQL by psycopg 3 is the tested target; the general path is tested with SQLite.
"""

from sentiment.database_url import check_address
from sentiment.publish.report import TargetReport
from sentiment.publish.target import publish_to

__all__ = ["TargetReport", "check_address", "publish_to"]
