"""``PYTHONPATH=benchmarks python -m zoo``: train what is not trained yet, then write the report."""

from zoo.run import main

if __name__ == "__main__":
    main()
