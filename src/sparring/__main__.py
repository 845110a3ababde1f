"""``python -m sparring``, as ``torchrun -m sparring`` starts it."""

from sparring.cli import main

if __name__ == "__main__":
    main()
