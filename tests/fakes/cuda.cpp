// What `kappa doctor` asks a driver, answered by a machine with two GPUs.
#include <cstddef>
#include <cstring>

extern "C" {
int cuInit(unsigned) { return 0; }
int cuDriverGetVersion(int* version) { return *version = 12040, 0; }
int cuDeviceGetCount(int* count) { return *count = 2, 0; }
int cuDeviceGet(int* device, int ordinal) { return *device = ordinal + 10, 0; }
int cuDeviceGetName(char* name, int length, int device) {
  std::strncpy(name, device == 10 ? "Abacus 9000" : "Abacus 9001", size_t(length));
  return 0;
}
int cuDeviceTotalMem_v2(size_t* bytes, int device) { return *bytes = size_t(device) << 30, 0; }
int cuDeviceGetAttribute(int* value, int attribute, int) { return *value = attribute == 75 ? 9 : 0, 0; }
}
