/* A stand-in for libnvidia-ml.so.1 with the functions that the agent asks for. Its answers come from environment
 * variables: NVML_GPUS is one GPU a line, "name;uuid;architecture;power_mw;energy_mj", a quantity "-" is not supported;
 * NVML_INIT is what nvmlInit returns. With NVML_LIVE the power swings around power_mw by 30 % in 20 s of
 * CLOCK_MONOTONIC, "instant" as it is and "average" as the mean of the last second, and the energy counter is its exact
 * integral; both are renewed every 100 ms, but for the instant. Declarations follow NVIDIA's public nvml.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NVML_SUCCESS 0
#define NVML_ERROR_NOT_SUPPORTED 3
#define NVML_ERROR_NOT_FOUND 6

struct gpu {
    char name[96], uuid[96], power[32], energy[32];
    unsigned int architecture;
};

static struct gpu gpus[8];
static unsigned int gpu_count;

static void parse(void) {
    const char *text = getenv("NVML_GPUS");
    gpu_count = 0;
    while (text != NULL && *text != '\0' && gpu_count < 8) {
        struct gpu *one = &gpus[gpu_count];
        if (sscanf(text, "%95[^;];%95[^;];%u;%31[^;];%31[^;\n]", one->name, one->uuid, &one->architecture, one->power,
                   one->energy) == 5)
            gpu_count++;
        text = strchr(text, '\n');
        if (text != NULL)
            text++;
    }
}

/* Seconds of an angle of one, and the swing; tests/support/nvml_fakes.py has the same integral. */
#define ANGLE_S (20.0 / (2.0 * 3.14159265358979323846))
#define SWING 0.3

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double renewed_s(void) { return floor(now_s() * 10.0) / 10.0; }

/* The integral of 1 + SWING * sin(t / ANGLE_S). */
static double grown(double t) { return t - SWING * ANGLE_S * cos(t / ANGLE_S); }

int nvmlInitWithFlags(unsigned int flags) {
    const char *answer = getenv("NVML_INIT");
    (void)flags;
    parse();
    return answer == NULL ? NVML_SUCCESS : atoi(answer);
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) { return NVML_SUCCESS; }

const char *nvmlErrorString(int result) { return result == NVML_SUCCESS ? "Success" : "an error of the fake library"; }

int nvmlDeviceGetCount_v2(unsigned int *count) {
    *count = gpu_count;
    return NVML_SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, struct gpu **device) {
    if (index >= gpu_count)
        return NVML_ERROR_NOT_FOUND;
    *device = &gpus[index];
    return NVML_SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, struct gpu **device) {
    for (unsigned int index = 0; index < gpu_count; index++)
        if (strcmp(gpus[index].uuid, uuid) == 0)
            return nvmlDeviceGetHandleByIndex_v2(index, device);
    return NVML_ERROR_NOT_FOUND;
}

int nvmlDeviceGetName(struct gpu *device, char *name, unsigned int length) {
    snprintf(name, length, "%s", device->name);
    return NVML_SUCCESS;
}

int nvmlDeviceGetUUID(struct gpu *device, char *uuid, unsigned int length) {
    snprintf(uuid, length, "%s", device->uuid);
    return NVML_SUCCESS;
}

int nvmlDeviceGetArchitecture(struct gpu *device, unsigned int *architecture) {
    *architecture = device->architecture;
    return NVML_SUCCESS;
}

int nvmlDeviceGetPowerUsage(struct gpu *device, unsigned int *milliwatts) {
    if (device->power[0] == '-')
        return NVML_ERROR_NOT_SUPPORTED;
    double base = strtod(device->power, NULL);
    const char *live = getenv("NVML_LIVE");
    if (live != NULL && strcmp(live, "average") == 0)
        base *= grown(renewed_s()) - grown(renewed_s() - 1.0);
    else if (live != NULL)
        base *= 1.0 + SWING * sin(now_s() / ANGLE_S);
    *milliwatts = (unsigned int)base;
    return NVML_SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(struct gpu *device, unsigned long long *millijoules) {
    if (device->energy[0] == '-')
        return NVML_ERROR_NOT_SUPPORTED;
    *millijoules = strtoull(device->energy, NULL, 10);
    if (getenv("NVML_LIVE") != NULL)
        *millijoules += (unsigned long long)(strtod(device->power, NULL) * grown(renewed_s()));
    return NVML_SUCCESS;
}
