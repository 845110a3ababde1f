"""Series: recordings read off tables and arrays, split, cut into windows, and encoded."""

from sparring.data.series.opening import USUAL as USUAL
from sparring.data.series.opening import is_series as is_series
from sparring.data.series.opening import open_series as open_series
from sparring.data.series.opening import usual_window as usual_window
