"""Where sessions are: in the memory of this process, or in Redis for several processes."""
