//! Everything that talks to the customer's AWS account or store: credentials, the check, diagnoses, the endpoint guard.
