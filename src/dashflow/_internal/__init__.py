"""The few names below LangGraph's private package that third-party savers and channels import."""
