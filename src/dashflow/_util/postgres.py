"""PostgreSQL's driver, or what to install: imported before anything that needs it. Offers nothing itself."""

try:
    import psycopg  # noqa: F401
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "PostgreSQL needs the package psycopg, which is not installed: pip install 'dashflow[postgres]'",
        name=missing.name,
    ) from missing
