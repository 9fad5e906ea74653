/*
 * Roots that testparty believes without being told at run time: lines as in QUORATE_TEST_ROOTS, as one
 * string. None here; test/vm/three_images.sh writes its own into the copy of the sources that it builds
 * images from, so that whom such a party believes is measured with the image.
 */
#ifndef TESTPARTY_ROOTS_H
#define TESTPARTY_ROOTS_H

#define TESTPARTY_ROOTS ""

#endif
