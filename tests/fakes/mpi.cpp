#include <cstring>

extern "C" int MPI_Get_library_version(char* text, int* length) {
  constexpr char version[] = "Open MPI v4.1.4, package: nobody's";
  std::memcpy(text, version, sizeof version);
  *length = int(sizeof version) - 1;
  return 0;
}
