// Workload H by Boost.Interprocess: managed_mapped_file, `boost_heap FOLDER BLOCKS`.
//
// `cargo xtask bench heap --peers` compiles and runs it. Sizes, orders and bytes are those of
// benches/own/src/heap/work.rs; JSON lines are those of the program `measure`.

#include <boost/interprocess/managed_mapped_file.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ipc = boost::interprocess;

// SplitMix64, as `Random` of benches/own.
struct Random {
    std::uint64_t state;
    std::uint64_t next() {
        state += 0x9E3779B97F4A7C15u;
        std::uint64_t z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    std::size_t below(std::size_t end) { return next() % end; }
};

constexpr std::size_t POOL = 64 << 10;

struct Work {
    std::vector<unsigned char> pool;
    Random random;
    explicit Work(std::uint64_t seed) : random{seed} {
        Random bytes{seed};
        for (std::size_t word = 0; word < POOL / 8; word++) {
            std::uint64_t value = bytes.next();
            for (int byte = 0; byte < 8; byte++) pool.push_back(value >> (8 * byte) & 255);
        }
    }
    std::vector<std::size_t> sizes(std::size_t count) {
        std::vector<std::size_t> sizes(count);
        for (auto& size : sizes) size = 32 + random.below(481);
        return sizes;
    }
    const unsigned char* bytes(std::size_t number) const {
        return pool.data() + number * 64 % (POOL - 512);
    }
};

double now(clockid_t clock) {
    timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}
double cpu() { return now(CLOCK_THREAD_CPUTIME_ID); }

void tell(const char* name, double value, const char* unit) {
    std::printf("{\"name\":\"boost_%s\",\"value\":%.9g,\"unit\":\"%s\"}\n", name, value, unit);
}

using Heap = ipc::managed_mapped_file;
using Blocks = std::vector<std::pair<Heap::handle_t, std::size_t>>;

double fill(Heap& heap, const Work& work, const std::vector<std::size_t>& sizes, Blocks& blocks) {
    blocks.reserve(blocks.size() + sizes.size());
    double start = cpu();
    for (std::size_t number = 0; number < sizes.size(); number++) {
        void* block = heap.allocate(sizes[number]);
        std::memcpy(block, work.bytes(number), sizes[number]);
        blocks.emplace_back(heap.get_handle_from_address(block), sizes[number]);
    }
    return (cpu() - start) / sizes.size();
}

// flush() does not wait for the device.
void commit(Heap& heap, int file) {
    if (!heap.flush() || fdatasync(file) != 0) std::abort();
}

// Touches memory and gives it back: the host of a virtual machine has it ready then.
void warm(std::size_t bytes) {
    volatile unsigned char* memory = new unsigned char[bytes];
    for (std::size_t at = 0; at < bytes; at += 4096) memory[at] = 1;
    delete[] memory;
}

int main(int count, char** arguments) {
    if (count != 3) return 2;
    std::string path = std::string(arguments[1]) + "/boost";
    std::size_t blocks_count = std::strtoull(arguments[2], nullptr, 10);
    std::size_t touched = blocks_count;
    Work work{21};
    auto sizes = work.sizes(blocks_count);
    auto again = work.sizes(blocks_count / 2);
    warm(blocks_count * 600);

    double start = now(CLOCK_MONOTONIC);
    // It cannot grow while it is mapped.
    auto* heap = new Heap(ipc::create_only, path.c_str(), blocks_count * 320 + (1 << 20));
    tell("create", (now(CLOCK_MONOTONIC) - start) / 1e6, "ms");
    int file = open(path.c_str(), O_RDWR);
    if (file < 0) return 1;

    Blocks blocks;
    tell("fill", fill(*heap, work, sizes, blocks), "ns/block");
    commit(*heap, file);
    Random order{22};
    for (std::size_t last = blocks.size() - 1; last > 0; last--) {
        std::swap(blocks[last], blocks[order.below(last + 1)]);
    }
    std::size_t kept = blocks.size() - blocks.size() / 2;
    start = cpu();
    for (std::size_t index = kept; index < blocks.size(); index++) {
        heap->deallocate(heap->get_address_from_handle(blocks[index].first));
    }
    tell("free", (cpu() - start) / (blocks.size() - kept), "ns/block");
    blocks.resize(kept);
    commit(*heap, file);
    tell("again", fill(*heap, work, again, blocks), "ns/block");
    commit(*heap, file);

    std::vector<std::pair<Heap::handle_t, std::size_t>> places(touched);
    for (auto& place : places) {
        place.first = blocks[work.random.below(blocks.size())].first;
        place.second = 8 * work.random.below(4);
    }
    start = cpu();
    for (std::uint64_t number = 0; number < touched; number++) {
        auto* block = static_cast<char*>(heap->get_address_from_handle(places[number].first));
        std::memcpy(block + places[number].second, &number, 8);
    }
    tell("write", (cpu() - start) / touched, "ns/write");
    volatile std::uint64_t kept_sum = 0;
    std::uint64_t sum = 0;
    start = cpu();
    for (auto& place : places) {
        std::uint64_t word;
        auto* block = static_cast<char*>(heap->get_address_from_handle(place.first));
        std::memcpy(&word, block + place.second, 8);
        sum ^= word;
    }
    tell("read", (cpu() - start) / touched, "ns/read");
    commit(*heap, file);

    double live = 0;
    for (auto& block : blocks) live += block.second;
    struct stat status;
    if (fstat(file, &status) != 0) return 1;
    tell("file_over_live", status.st_blocks * 512.0 / live, "of the live");
    delete heap;
    start = now(CLOCK_MONOTONIC);
    heap = new Heap(ipc::open_only, path.c_str());
    sum ^= *static_cast<unsigned char*>(heap->get_address_from_handle(places[0].first));
    tell("reopen", (now(CLOCK_MONOTONIC) - start) / 1e3, "us");
    kept_sum = sum;
    static_cast<void>(kept_sum);
    delete heap;
    close(file);
    return 0;
}
