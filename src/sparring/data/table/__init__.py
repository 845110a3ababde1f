"""Tables: text in columns from any file, what each column is, and rows as networks take them."""

from sparring.data.table.opening import is_table as is_table
from sparring.data.table.opening import open_table as open_table
