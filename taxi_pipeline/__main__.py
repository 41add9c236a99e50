"""`python -m taxi_pipeline` does the same as the console script `taxi-pipeline`."""

from taxi_pipeline.cli import main

if __name__ == "__main__":
    main(prog_name="taxi-pipeline")
