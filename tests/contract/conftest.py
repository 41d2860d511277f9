"""Each test runs on a fake of tests/kit and on the thing that the fake stands for."""
