"""What a user gets who does not choose. Nothing is imported here, so that `--help` is quick."""

MODEL = "street"
POLICY = "Change(threshold=6, grow=1)"
POLICY_TIMEOUT_SECONDS = 1.0
