"""`python -m ssl_video` is `ssl-video`."""

from ssl_video.cli import main

if __name__ == "__main__":
    main()
