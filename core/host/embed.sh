#!/bin/sh
# embed.sh SCRIPT OUT NAME: writes the script as a C array of bytes, so that the program carries it and needs no file beside it.
set -eu
{
	echo "static const unsigned char $3[] = {"
	od -An -v -tx1 "$1" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
	echo "};"
} > "$2"
