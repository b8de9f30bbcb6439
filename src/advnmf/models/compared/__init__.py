"""Models of other studies, to be compared with: HQASD, DMF, ANMF."""
