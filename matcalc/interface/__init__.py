"""What people and programs call: expressions, derivatives, sessions, the command."""
