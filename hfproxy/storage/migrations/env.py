"""What Alembic runs: on the connection that `opening.py` hands it, inside its transaction."""

from alembic import context

from hfproxy.storage.database import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
context.run_migrations()
