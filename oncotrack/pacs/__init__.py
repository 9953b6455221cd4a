"""Archives (PACS): search, retrieve and send over DICOMweb and DIMSE, with an outbox on disk."""
