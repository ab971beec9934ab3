/* The native peer of the worker: the same libonnxruntime, the same options, no Python.
 *
 * Usage: latency_peer LIBONNXRUNTIME MODEL INPUT SHAPE OUTPUT WARMUP_MS WINDOW_MS   (SHAPE as 1x3x224x224)
 * Binds a float32 input and the output once, warms up, then times single runs for the window and prints
 * nanoseconds per run, one sample a line.
 *
 * The wheel carries no header: functions are reached by their place in the OrtApi table, which never changes because
 * the table only grows.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  GET_ERROR_MESSAGE = 2,
  CREATE_ENV = 3,
  CREATE_SESSION = 7,
  CREATE_SESSION_OPTIONS = 10,
  SET_INTRA_OP_NUM_THREADS = 24,
  CREATE_TENSOR_WITH_DATA = 49,
  CREATE_CPU_MEMORY_INFO = 69,
  RUN_WITH_BINDING = 133,
  CREATE_IO_BINDING = 134,
  BIND_INPUT = 136,
  BIND_OUTPUT_TO_DEVICE = 138,
};
enum { API_VERSION = 20, LOG_ERROR = 3, FLOAT32 = 1, MOST_SAMPLES = 4000000 };

typedef void *(*function)();
typedef struct {
  const void **(*get_api)(uint32_t);
  const char *(*version)(void);
} api_base;

static const void **api;

#define CALL(index, ...)                                                             \
  do {                                                                               \
    void *status = ((function)api[index])(__VA_ARGS__);                              \
    if (status) {                                                                    \
      fprintf(stderr, "%s\n", (const char *)((function)api[GET_ERROR_MESSAGE])(status)); \
      exit(1);                                                                       \
    }                                                                                \
  } while (0)

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int64_t samples[MOST_SAMPLES];

int main(int count, char **words) {
  if (count != 8) {
    fprintf(stderr, "usage: latency_peer LIB MODEL INPUT SHAPE OUTPUT WARMUP_MS WINDOW_MS\n");
    return 2;
  }
  void *library = dlopen(words[1], RTLD_NOW);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  api_base *(*get_base)(void) = (api_base * (*)(void)) dlsym(library, "OrtGetApiBase");
  api = get_base()->get_api(API_VERSION);
  int64_t shape[8], elements = 1;
  size_t rank = 0;
  for (char *part = strtok(strdup(words[4]), "x"); part && rank < 8; part = strtok(NULL, "x")) {
    shape[rank] = atoll(part);
    elements *= shape[rank++];
  }
  void *environment, *options, *session, *memory, *input, *binding;
  CALL(CREATE_ENV, LOG_ERROR, "peer", &environment);
  CALL(CREATE_SESSION_OPTIONS, &options);
  CALL(SET_INTRA_OP_NUM_THREADS, options, 1);
  CALL(CREATE_SESSION, environment, words[2], options, &session);
  CALL(CREATE_CPU_MEMORY_INFO, 0, 0, &memory);
  size_t bytes = (size_t)elements * sizeof(float);
  float *data = aligned_alloc(64, (bytes + 63) / 64 * 64);
  for (int64_t i = 0; i < elements; i++) data[i] = 2.0f * rand() / (float)RAND_MAX - 1.0f;
  CALL(CREATE_TENSOR_WITH_DATA, memory, data, bytes, shape, rank, FLOAT32, &input);
  CALL(CREATE_IO_BINDING, session, &binding);
  CALL(BIND_INPUT, binding, words[3], input);
  CALL(BIND_OUTPUT_TO_DEVICE, binding, words[5], memory);
  for (int64_t end = now_ns() + atoll(words[6]) * 1000000; now_ns() < end;) CALL(RUN_WITH_BINDING, session, NULL, binding);
  int kept = 0;
  for (int64_t end = now_ns() + atoll(words[7]) * 1000000; now_ns() < end && kept < MOST_SAMPLES;) {
    int64_t start = now_ns();
    CALL(RUN_WITH_BINDING, session, NULL, binding);
    samples[kept++] = now_ns() - start;
  }
  for (int i = 0; i < kept; i++) printf("%lld\n", (long long)samples[i]);
  return 0;
}
