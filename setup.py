"""Find the packages, in `ssl_video` and three folders beside it; all other metadata is in pyproject.toml.

The layout of the project requires the top-level folders `algorithms`, `backbones` and `benchmarks`, where
people look for them. They are installed inside `ssl_video`, so that no environment gets a module called
"algorithms".
"""

from setuptools import find_packages, setup

FOLDERS = ("algorithms", "backbones", "benchmarks")
INSIDE = [
    package for folder in FOLDERS for package in (folder, *(f"{folder}.{p}" for p in find_packages(folder)))
]

setup(
    packages=[
        *find_packages(include=["ssl_video", "ssl_video.*"]),
        *(f"ssl_video.{name}" for name in INSIDE),
    ],
    package_dir={f"ssl_video.{folder}": folder for folder in FOLDERS},
)
