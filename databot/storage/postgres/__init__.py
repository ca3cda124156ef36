"""The shared database: PostgreSQL through a pool of native connections."""
