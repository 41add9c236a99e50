"""Questions of others: by a program that speaks MCP, by HTTP. All of them are read-only and bounded.

Both are asked of a copy of the warehouse (`snapshots`), so no run waits for a question and no question for a run.
"""
