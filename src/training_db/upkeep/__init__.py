"""What keeps a database sound over years: copies of it, space, and a look at its health."""
