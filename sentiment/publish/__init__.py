"""Other databases, by SQLAlchemy address: published tables go out, tweets come in.

    address        which addresses are taken, and errors as sentences; a password never stands in one
    tables         the published tables as the other database has them: types, keys, comments
    changes        what is new, changed or gone since the last publication to a target
    rows           rows into a table, by COPY where the database has it
    publication    all of it in one transaction: readers see the old state or the new one
    source         tweets by the user's own query, from a watermark on

PostgreSQL by psycopg 3 is the tested target; the general path is tested with SQLite.
"""

from sentiment.database_url import check_address
from sentiment.publish.target import TargetReport, publish_to

__all__ = ["TargetReport", "check_address", "publish_to"]
