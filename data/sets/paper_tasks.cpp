#include "data/sets/paper_tasks.h"

#include <array>

namespace reprise::data {
namespace {

constexpr std::array<PaperTask, 53> tasks = {{
    {1, "scenes", 67, 5092, 536},
    {2, "birds", 200, 5200, 600},
    {17, "wikiart", 27, 2531, 243},
    {18, "DescribableTextures", 47, 2538, 235},
    {21, "OfficeHome_Clipart", 65, 3307, 408},
    {22, "OfficeHome_Product", 65, 3361, 421},
    {23, "OfficeHome_Art", 65, 1800, 250},
    {24, "Food-101", 101, 5151, 505},
    {25, "EuroSAT", 10, 2560, 260},
    {29, "HistAerial", 7, 2562, 259},
    {30, "OriSet_classification", 3, 2559, 255},
    {33, "Rice_Image_Dataset", 5, 2560, 255},
    {35, "garbage_classification", 12, 2556, 252},
    {37, "PokemonData", 150, 4868, 450},
    {38, "Manga_Facial_Expressions", 7, 357, 49},
    {40, "oregon_wildlife", 20, 2560, 260},
    {41, "Blood_Cell_Dataset", 4, 2560, 256},
    {42, "OCT2017", 4, 2560, 256},
    {44, "Cataract_Dataset", 4, 479, 61},
    {48, "Apparel_Images_Dataset", 24, 2482, 257},
    {49, "Zalando_Fashion_Dataset", 6, 2186, 233},
    {57, "House_Room_Images", 5, 2527, 255},
    {58, "UIUC_Sports_Event_Dataset", 8, 1258, 160},
    {61, "Yoga-82", 80, 5035, 479},
    {63, "UMNIST", 20, 435, 65},
    {68, "electronic-components", 36, 2526, 251},
    {74, "Breast_Ultrasound", 3, 620, 79},
    {76, "boat-types-recognition", 9, 1054, 129},
    {80, "concrete-crack", 2, 2560, 256},
    {81, "Malacca_Historical_Buildings", 3, 126, 18},
    {82, "African_countries", 4, 2560, 256},
    {96, "SurgicalTools", 4, 1607, 201},
    {98, "Galaxy10", 10, 2560, 260},
    {99, "Stanford_Online_Products", 12, 2556, 252},
    {100, "NWPU-RESISC45", 45, 2565, 270},
    {104, "ilab80m-shell", 15, 2565, 255},
    {105, "CLEVR_v1.0", 8, 2560, 256},
    {20, "CelebA", 5, 2560, 255},
    {34, "Vegetable_images_Dataset", 15, 2565, 255},
    {39, "Monkey_Species", 10, 1007, 130},
    {43, "aptos2019", 5, 1650, 182},
    {45, "freiburg_groceries_dataset", 25, 2488, 250},
    {53, "Weather_Type_Dataset", 4, 875, 112},
    {54, "Simpsons_Characters_Data", 42, 2077, 220},
    {69, "Hurricane_Damage_Dataset", 2, 2560, 256},
    {73, "Kannada-MNIST", 10, 2560, 260},
    {79, "dragon-ball-super-saiyan-dataset", 6, 112, 18},
    {88, "ip02-dataset", 102, 5100, 510},
    {89, "planets-and-moons-dataset-ai-in-space", 11, 1307, 165},
    {90, "polish-craft-beer-labels", 100, 5060, 500},
    {91, "the-kvasircapsule-dataset", 13, 2113, 219},
    {106, "atari_shell", 67, 5092, 536},
    {107, "deepvp_shell", 9, 2556, 252},
}};

}  // namespace

std::span<const PaperTask> paper_tasks() {
  return tasks;
}

}  // namespace reprise::data
