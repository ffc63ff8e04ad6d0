"""Words that people read: vocabulary, findings, errors, languages."""
