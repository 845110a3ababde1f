"""Metrics of tables: pure functions of decoded rows (`sparring.core.rows.Rows`) of the same columns."""
