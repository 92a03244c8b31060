extern "C" int ncclGetVersion(int* version) { return *version = 22703, 0; }
