#include "model/tensor_types.h"

#include <gtest/gtest.h>

namespace lmsb::model {
namespace {

TEST(TensorTypes, HaveTheSizesThatGgmlGivesThem) {
  for (const auto& [number, block, octets] : {std::tuple{0U, 1U, 4U},
                                              {2U, 32U, 18U},
                                              {8U, 32U, 34U},
                                              {12U, 256U, 144U},
                                              {14U, 256U, 210U},
                                              {29U, 256U, 56U},
                                              {30U, 1U, 2U},
                                              {39U, 32U, 17U},
                                              {40U, 64U, 36U},
                                              {42U, 64U, 18U}}) {
    ASSERT_NE(find_tensor_type(number), nullptr) << number;
    EXPECT_EQ(find_tensor_type(number)->block, block) << number;
    EXPECT_EQ(find_tensor_type(number)->octets, octets) << number;
  }
}

TEST(TensorTypes, ThatAreGoneOrToComeAreNotKnown) {
  for (const std::uint32_t number : {4U, 5U, 31U, 38U, 43U, UINT32_MAX}) EXPECT_EQ(find_tensor_type(number), nullptr);
  for (const std::uint32_t number : {4U, 6U, 33U, 42U, 1024U, UINT32_MAX}) EXPECT_EQ(find_file_type(number), nullptr);
}

TEST(TensorTypes, AreThereForEveryFileType) {
  for (std::uint32_t number = 0; number < 100; ++number) {
    const FileType* const type = find_file_type(number);
    if (type == nullptr) continue;
    ASSERT_NE(find_tensor_type(type->main), nullptr) << type->name;
    EXPECT_EQ(type->name.substr(0, 2), find_tensor_type(type->main)->name.substr(0, 2)) << type->name;
  }
}

}  // namespace
}  // namespace lmsb::model
