"""Study 3C: outcomes-based and value-based agreements, one-time therapies under payers, earlier lines."""
