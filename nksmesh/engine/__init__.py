"""What every command is made of: the plan, what the cluster shows, the executor and the record of runs."""
