"""The mock on a real socket: one asyncio server for the command and the fixture."""
