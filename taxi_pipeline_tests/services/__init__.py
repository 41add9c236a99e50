"""Real servers on loopback, for `make services` and `make test-services`: PostgreSQL, and S3 by OpenStack Swift.

Swift lives in an environment of its own (`.venv-services`), PostgreSQL comes from the system's packages.
Tests learn from the variables in `servers.Addresses` where the servers are, and skip when they are not set.
"""
