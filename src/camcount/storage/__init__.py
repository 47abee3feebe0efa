"""What outlives the process: the SQL database and what is kept in it."""
