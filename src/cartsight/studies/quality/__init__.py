"""Study 4A: potency as a matrix, process analytics, portable data; from the assay to the patient."""
