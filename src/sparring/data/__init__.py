"""Sources of real data, and the endless, seekable, sharded order in which it is dealt.

`open_data` reads a source into a `DataSet`; `make_dealer` deals from it. `hold_out` and `open_test`
say what training never sees.
"""

from sparring.data.dataset import DataSet as DataSet
from sparring.data.dealer import make_dealer as make_dealer
from sparring.data.held_out import hold_out as hold_out
from sparring.data.held_out import open_test as open_test
from sparring.data.held_out import with_classes as with_classes
from sparring.data.labels import labels_warning as labels_warning
from sparring.data.opening import open_data as open_data
