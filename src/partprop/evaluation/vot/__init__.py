"""VOT's supervised protocol and the tracker's runs under it."""
