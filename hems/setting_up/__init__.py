"""What the commands of the first hour share: a conversation, `hems.yaml` with its comments, secrets in files, findings."""
