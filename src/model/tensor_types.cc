#include "model/tensor_types.h"

#include <array>

namespace lmsb::model {
namespace {

// A type without a block is one that is no longer in use.
constexpr std::array<TensorType, kTensorTypes> kTypes = {{
    {"F32", 1, 4},
    {"F16", 1, 2},
    {"Q4_0", 32, 18},
    {"Q4_1", 32, 20},
    {},
    {},
    {"Q5_0", 32, 22},
    {"Q5_1", 32, 24},
    {"Q8_0", 32, 34},
    {"Q8_1", 32, 36},
    {"Q2_K", 256, 84},
    {"Q3_K", 256, 110},
    {"Q4_K", 256, 144},
    {"Q5_K", 256, 176},
    {"Q6_K", 256, 210},
    {"Q8_K", 256, 292},
    {"IQ2_XXS", 256, 66},
    {"IQ2_XS", 256, 74},
    {"IQ3_XXS", 256, 98},
    {"IQ1_S", 256, 50},
    {"IQ4_NL", 32, 18},
    {"IQ3_S", 256, 110},
    {"IQ2_S", 256, 82},
    {"IQ4_XS", 256, 136},
    {"I8", 1, 1},
    {"I16", 1, 2},
    {"I32", 1, 4},
    {"I64", 1, 8},
    {"F64", 1, 8},
    {"IQ1_M", 256, 56},
    {"BF16", 1, 2},
    {},
    {},
    {},
    {"TQ1_0", 256, 54},
    {"TQ2_0", 256, 66},
    {},
    {},
    {},
    {"MXFP4", 32, 17},
    {"NVFP4", 64, 36},
    {"Q1_0", 128, 18},
    {"Q2_0", 64, 18},
}};

// A file type without a name is one that is no longer in use.
constexpr std::array<FileType, 42> kFileTypes = {{
    {"F32", 0},
    {"F16", 1},
    {"Q4_0", 2},
    {"Q4_1", 3},
    {},
    {},
    {},
    {"Q8_0", 8},
    {"Q5_0", 6},
    {"Q5_1", 7},
    {"Q2_K", 10},
    {"Q3_K_S", 11},
    {"Q3_K_M", 11},
    {"Q3_K_L", 11},
    {"Q4_K_S", 12},
    {"Q4_K_M", 12},
    {"Q5_K_S", 13},
    {"Q5_K_M", 13},
    {"Q6_K", 14},
    {"IQ2_XXS", 16},
    {"IQ2_XS", 17},
    {"Q2_K_S", 10},
    {"IQ3_XS", 21},
    {"IQ3_XXS", 18},
    {"IQ1_S", 19},
    {"IQ4_NL", 20},
    {"IQ3_S", 21},
    {"IQ3_M", 21},
    {"IQ2_S", 17},
    {"IQ2_M", 22},
    {"IQ4_XS", 23},
    {"IQ1_M", 29},
    {"BF16", 30},
    {},
    {},
    {},
    {"TQ1_0", 34},
    {"TQ2_0", 35},
    {"MXFP4", 39},
    {"NVFP4", 40},
    {"Q1_0", 41},
    {"Q2_0", 42},
}};

}  // namespace

const TensorType* find_tensor_type(std::uint32_t number) {
  return number < kTypes.size() && kTypes[number].block > 0 ? &kTypes[number] : nullptr;
}

const FileType* find_file_type(std::uint32_t number) {
  return number < kFileTypes.size() && !kFileTypes[number].name.empty() ? &kFileTypes[number] : nullptr;
}

}  // namespace lmsb::model
